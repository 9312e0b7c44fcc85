/**
 * `slackwater completions <shell>`: the script by which a shell completes our commands, flags and files.
 *
 * The script is Effect's (`--completions` prints it too), and asks nobody when it completes; so it is made anew after an
 * upgrade.
 */
import { Console, Effect } from "effect"
import { Argument, Command, Completions } from "effect/cli"

const shells = ["bash", "zsh", "fish", "powershell"] as const

/** What names a file or a folder. They are taken as text, so that errors name them as they were given. */
const files = new Set(["handler", "file", "blocks"])
const folders = new Set(["dir"])

const typed = <Described extends Completions.FlagDescriptor | Completions.ArgumentDescriptor>(
  described: Described
): Described => {
  const pathType = files.has(described.name) ? "file" : folders.has(described.name) ? "directory" : undefined
  return pathType === undefined || described.type._tag !== "String"
    ? described
    : { ...described, type: { _tag: "Path", pathType } }
}

const withFiles = (command: Completions.CommandDescriptor): Completions.CommandDescriptor => ({
  ...command,
  flags: command.flags.map(typed),
  arguments: command.arguments.map(typed),
  subcommands: command.subcommands.map(withFiles)
})

/** `root` is asked when the command runs: it is a part of it. */
export const completions = (root: () => Command.Command.Any) =>
  Command.make(
    "completions",
    { shell: Argument.Literals("shell", shells).pipe(Argument.withDescription("Whose script to print")) },
    Effect.fn("completions")(function*({ shell }) {
      const command = root()
      yield* Console.log(Completions.generate(command.name, shell, withFiles(Completions.fromCommand(command))))
    })
  ).pipe(
    Command.withDescription("Print the script that lets a shell complete commands, flags and files"),
    Command.withExamples([
      { command: "source <(slackwater completions bash)", description: "In ~/.bashrc" },
      { command: "slackwater completions zsh > \"${fpath[1]}/_slackwater\"", description: "Once, for zsh" },
      {
        command: "slackwater completions fish > ~/.config/fish/completions/slackwater.fish",
        description: "Once, for fish"
      }
    ])
  )
