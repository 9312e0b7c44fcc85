/** One message, the same bytes for everybody: what Slack's Events API brings for a line of 180 characters. */
export const payload = (n: number): string =>
  JSON.stringify({
    type: "event_callback",
    team_id: "T0123456789",
    api_app_id: "A0123456789",
    event_id: `Ev${String(n).padStart(10, "0")}`,
    event_time: 1_760_000_000 + n,
    event: {
      type: "message",
      channel: "C0123456789",
      user: "U0123456789",
      ts: `${1_760_000_000 + n}.000100`,
      thread_ts: `${1_760_000_000 + n}.000100`,
      text: "x".repeat(180),
      client_msg_id: "0f6f1f9b-1111-2222-3333-444444444444",
      blocks: []
    },
    authorizations: [{ team_id: "T0123456789", user_id: "U0987654321", is_bot: true }]
  })

/** Which message it was. */
export const numberOf = (body: unknown): number => {
  const parsed: unknown = typeof body === "string" ? JSON.parse(body) : body
  const id: unknown = typeof parsed === "object" && parsed !== null ? Reflect.get(parsed, "event_id") : undefined
  return typeof id === "string" ? Number(id.slice(2)) : Number.NaN
}
