/** WebApiViews: the methods with which a bot opens a modal and changes it. Pure. */
import type { Json } from "./SlackShapes.ts"
import { fail, isFailure, type Method, nested, text } from "./WebApiParams.ts"

const isView = (value: unknown) =>
  typeof value === "object" && value !== null && Reflect.get(value, "type") === "modal" &&
  Array.isArray(Reflect.get(value, "blocks"))

export const viewsOpen: Method = {
  token: "bot",
  run: (world, { params }, now) => {
    const view = nested(params, "view", isView, "invalid_arguments")
    if (view === undefined) return fail("invalid_arguments")
    if (isFailure(view)) return view
    const opened = world.views.open(text(params, "trigger_id") ?? "", view as Json, now)
    if (opened === undefined) return fail("expired_trigger_id")
    world.record({ _tag: "ViewOpened", view: opened.id, to: opened.user }, now)
    return { ok: true, view: opened.view }
  }
}

export const viewsUpdate: Method = {
  token: "bot",
  run: (world, { params }, now) => {
    const view = nested(params, "view", isView, "invalid_arguments")
    if (view === undefined) return fail("invalid_arguments")
    if (isFailure(view)) return view
    const changed = world.views.update(text(params, "view_id") ?? "", view as Json, now)
    if (changed === undefined) return fail("not_found")
    world.record({ _tag: "ViewOpened", view: changed.id, to: changed.user }, now)
    return { ok: true, view: changed.view }
  }
}
