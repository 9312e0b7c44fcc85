/** Reads single fields of JSON that nobody has checked. It may be of any shape; a field that is not there is none. */

export const fieldIn = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined

/** Slack leaves texts out, sends null, or sends them empty; all three mean that there is none. */
export const textIn = (value: unknown, name: string): string | undefined => {
  const found = fieldIn(value, name)
  return typeof found === "string" && found !== "" ? found : undefined
}
