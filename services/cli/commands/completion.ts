/**
 * `vapfarm completion`: scripts for bash, zsh and fish, and the hidden `vapfarm __complete` that they ask.
 */
import { Argument, Command } from "commander";
import { describeCommand, type Finish, runBody } from "../command-line.ts";
import { bashScript } from "../completion/bash.ts";
import { candidatesOf, farmOptionsOf } from "../completion/dynamic.ts";
import { fishScript } from "../completion/fish.ts";
import { type CommandNode, completionTree, dynamicKinds } from "../completion/tree.ts";
import { zshScript } from "../completion/zsh.ts";
import type { CliContext } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const satisfies Readonly<
  Record<string, (tree: CommandNode) => string>
>;
type Shell = keyof typeof scripts;

const text = {
  name: "completion",
  group: "settings",
  summary: "print a shell's completion script",
  description: `Prints a script that completes commands, options, choices, files, and what the farm knows: jobs, workers, models, pools, contexts.

bash: add to ~/.bashrc:                 source <(vapfarm completion bash)
zsh:  add to ~/.zshrc, after compinit:  source <(vapfarm completion zsh)
      or: vapfarm completion zsh > "\${fpath[1]}/_vapfarm"
fish: vapfarm completion fish > ~/.config/fish/completions/vapfarm.fish`,
  examples: ["source <(vapfarm completion bash)", "vapfarm completion fish > ~/.config/fish/completions/vapfarm.fish"],
} as const;

/** Adds the command. */
export function completionCommand(context: CliContext, finish: Finish): Command {
  return describeCommand(text)
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(scripts)))
    .action(async (shell: Shell, options: { readonly json?: boolean }, command: Command) => {
      const body = () => {
        const script = scripts[shell](completionTree(command.parent ?? command));
        if (options.json === true) context.output.json({ shell, script });
        else context.output.line(script);
        return Promise.resolve(exitCodes.ok);
      };
      finish(await runBody(context, body, options));
    });
}

/** Adds what the scripts ask: candidates of a kind, a line each, with a tab before what it is. Never fails. */
export function completeCommand(context: CliContext, finish: Finish): Command {
  return new Command("__complete")
    .helpOption(false)
    .passThroughOptions()
    .allowUnknownOption()
    .argument("<kind>")
    .argument("[words...]")
    .action(async (asked: string, words: readonly string[]) => {
      const kind = dynamicKinds.find((each) => each === asked);
      const found = kind === undefined ? [] : await candidatesOf(context, kind, farmOptionsOf(words));
      for (const { value, description } of found) context.output.line(`${value}\t${description}`);
      finish(exitCodes.ok);
    });
}
