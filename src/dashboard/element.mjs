/**
 * Elements of the page. Text comes in as text nodes only and attributes only by name, so that nothing a person wrote in
 * Slack is ever read as markup.
 */

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>} Attributes */

/**
 * A function is a listener, `true` an attribute without a value; what is false, null or undefined is left out.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes} [attributes]
 * @param {Array<Child | ReadonlyArray<Child>>} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export const el = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value)
    else if (value === true) node.setAttribute(name, "")
    else if (value != null && value !== false) node.setAttribute(name, String(value))
  }
  node.append(...present(children.flat()))
  return node
}

/**
 * @param {ReadonlyArray<Child>} children
 * @returns {Array<Node | string>}
 */
const present = (children) =>
  children.flatMap((child) =>
    child == null || child === false ? [] : [typeof child === "number" ? String(child) : child]
  )

/**
 * @param {Element} node
 * @param {Array<Child | ReadonlyArray<Child>>} children
 */
export const fill = (node, ...children) => node.replaceChildren(...present(children.flat()))

/**
 * Sets the text where it differs, so that a screen reader is not told the same again.
 *
 * @param {Element} node
 * @param {string} text
 */
export const say = (node, text) => {
  if (node.textContent !== text) node.textContent = text
}

/**
 * The element of the shell with this id.
 *
 * @param {string} id
 */
export const byId = (id) => {
  const node = document.getElementById(id)
  if (node === null) throw new Error(`no #${id} in the page`)
  return node
}

/** What each child of a list was drawn from. @type {WeakMap<Element, string>} */
const drawnFrom = new WeakMap()

/**
 * Makes the children of a list those of `items`: what did not change stays as it is, with its focus, its selection and
 * its place; what changed is drawn anew, and the focus goes to the same control in it.
 *
 * @template T
 * @param {Element} list
 * @param {ReadonlyArray<T>} items
 * @param {(item: T) => string | number} keyOf
 * @param {(item: T) => HTMLElement} draw
 */
export const sync = (list, items, keyOf, draw) => {
  /** @type {Map<string, HTMLElement>} */
  const old = new Map()
  for (const child of list.children) if (child instanceof HTMLElement) old.set(child.dataset["key"] ?? "", child)
  let before = list.firstElementChild
  for (const item of items) {
    const key = String(keyOf(item))
    const from = JSON.stringify(item)
    const there = old.get(key)
    old.delete(key)
    let node = there
    if (there === undefined || drawnFrom.get(there) !== from) {
      const act = there?.contains(document.activeElement) ? focusedAct() : undefined
      node = draw(item)
      node.dataset["key"] = key
      drawnFrom.set(node, from)
      if (there !== undefined) {
        if (before === there) before = node
        there.replaceWith(node)
      }
      if (act !== undefined) within(node, act)?.focus()
    }
    if (node === undefined) continue
    if (node === before) before = node.nextElementSibling
    else list.insertBefore(node, before)
  }
  for (const node of old.values()) node.remove()
}

/**
 * @param {Element} node
 * @param {string} act
 * @returns {HTMLElement | null}
 */
const within = (node, act) => node.querySelector(`[data-act="${CSS.escape(act)}"]`)

const focusedAct = () =>
  document.activeElement instanceof HTMLElement ? document.activeElement.dataset["act"] : undefined
