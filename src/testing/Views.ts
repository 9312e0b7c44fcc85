/**
 * Views: the modals of a LocalSlack, and the triggers that allow an app to open one.
 *
 * Owns which trigger belongs to whom (three seconds, once, as Slack's), which modals are open, and what the app's answer
 * to a submission does to one. Pure; bounded: old triggers go when the next one comes, of modals the newest are kept.
 */
import type { Acked } from "./Delivery.ts"
import type { JournalEvent } from "./Journal.ts"
import type { Json } from "./SlackShapes.ts"

interface OpenView {
  readonly id: string
  /** Who sees it. */
  readonly user: string
  readonly view: Json
}

const triggerLifetimeMs = 3_000
const viewsKept = 100

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

export class Views {
  readonly #triggers = new Map<string, { readonly user: string; readonly until: number }>()
  readonly #open = new Map<string, OpenView>()
  #count = 0

  /** Makes an id good for opening one modal for this person. */
  allow(trigger: string, user: string, now: number): string {
    for (const [id, { until }] of this.#triggers) if (until <= now) this.#triggers.delete(id)
    this.#triggers.set(trigger, { user, until: now + triggerLifetimeMs })
    return trigger
  }

  /** Opens a modal for whom the trigger belongs to; undefined when it is spent, over or unknown. */
  open(trigger: string, view: Json, now: number): OpenView | undefined {
    const allowed = this.#triggers.get(trigger)
    this.#triggers.delete(trigger)
    if (allowed === undefined || allowed.until <= now) return undefined
    const id = `V0${String(++this.#count).padStart(6, "0")}`
    const opened = { id, user: allowed.user, view: { ...view, id, hash: `${now}.local` } }
    this.#open.set(id, opened)
    const [oldest] = this.#open.keys()
    if (this.#open.size > viewsKept && oldest !== undefined) this.#open.delete(oldest)
    return opened
  }

  update(id: string, view: Json, now: number): OpenView | undefined {
    const old = this.#open.get(id)
    if (old === undefined) return undefined
    const changed = { ...old, view: { ...view, id, hash: `${now}.local` } }
    this.#open.set(id, changed)
    return changed
  }

  find(id: string): OpenView | undefined {
    return this.#open.get(id)
  }

  close(id: string): OpenView | undefined {
    const old = this.#open.get(id)
    this.#open.delete(id)
    return old
  }

  /** The app has acked something; of a submission the answer says what becomes of the modal. */
  answered({ answer, payload }: Acked, now: number): JournalEvent | undefined {
    if (payload["type"] !== "view_submission" || !isObject(payload["view"])) return undefined
    const opened = this.#open.get(String(payload["view"]["id"]))
    if (opened === undefined) return undefined
    const about = { view: opened.id, to: opened.user }
    const { errors, response_action, view } = isObject(answer) ? answer : {}
    if (response_action === "errors" && isObject(errors)) return { _tag: "ViewRefused", ...about, errors }
    if ((response_action === "update" || response_action === "push") && isObject(view)) {
      this.update(opened.id, view, now)
      return { _tag: "ViewOpened", ...about }
    }
    this.close(opened.id)
    return { _tag: "ViewClosed", ...about }
  }
}
