/**
 * The completion script for bash 4 and newer; needs no bash-completion package.
 */
import type { CommandNode } from "./tree.ts";
import { tableFunctions, walkFunction } from "./walk.ts";

const body = `_vapfarm() {
  local cur words value
  COMPREPLY=()
  words=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
  cur=\${COMP_WORDS[COMP_CWORD]}
  # "=" breaks words: "--option=va" arrives as "--option" "=" "va".
  if [ "$cur" = "=" ]; then cur=""; elif [ "\${#words[@]}" -gt 0 ] && [ "\${words[-1]}" = "=" ]; then unset 'words[-1]'; fi
  local _vapfarm_words=("\${words[@]}") _vapfarm_path _vapfarm_position _vapfarm_pending
  _vapfarm_walk
  if [ -n "$_vapfarm_pending" ]; then
    value=$(_vapfarm_value "$_vapfarm_path" "$_vapfarm_pending")
  elif [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_vapfarm_options "$_vapfarm_path" | cut -f1)" -- "$cur")
    return
  else
    value=$(_vapfarm_value "$_vapfarm_path" "#$_vapfarm_position")
    if [ -z "$value" ]; then value=$(_vapfarm_commands "$_vapfarm_path" | cut -f1); fi
  fi
  case "$value" in
    @free | "") ;;
    @files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    @folders) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    @*) value=$("\${COMP_WORDS[0]}" __complete "\${value#@}" "\${COMP_WORDS[@]:1}" 2>/dev/null | cut -f1)
      mapfile -t COMPREPLY < <(compgen -W "$value" -- "$cur") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$value" -- "$cur") ;;
  esac
}
complete -F _vapfarm vapfarm ./vapfarm`;

/** The script. */
export function bashScript(tree: CommandNode): string {
  return ["# bash completion for vapfarm", tableFunctions(tree), walkFunction, body].join("\n");
}
