/**
 * The completion script for zsh: works as a file of `fpath` and when it is sourced.
 */
import type { CommandNode } from "./tree.ts";
import { tableFunctions, walkFunction } from "./walk.ts";

// `_describe` splits at the first colon, so those of names and descriptions are escaped.
const body = `_vapfarm_describe() {
  local tab=$'\\t' line
  local -a lines
  for line in "\${(@f)1}"; do
    [ -n "$line" ] || continue
    line="\${line//:/\\\\:}"
    lines+=("\${line/$tab/:}")
  done
  (( \${#lines} )) && _describe 'value' lines
}
_vapfarm() {
  emulate -L zsh
  local cur=\${words[CURRENT]} value
  local -a _vapfarm_words
  local _vapfarm_path _vapfarm_position _vapfarm_pending
  _vapfarm_words=("\${(@)words[2,CURRENT-1]}")
  _vapfarm_walk
  if [[ $cur == --*=* && -z $_vapfarm_pending ]]; then
    _vapfarm_pending=\${cur%%=*}
    compset -P '*='
  fi
  if [ -n "$_vapfarm_pending" ]; then
    value=$(_vapfarm_value "$_vapfarm_path" "$_vapfarm_pending")
  elif [[ $cur == -* ]]; then
    _vapfarm_describe "$(_vapfarm_options "$_vapfarm_path")"
    return
  else
    value=$(_vapfarm_value "$_vapfarm_path" "#$_vapfarm_position")
    if [ -z "$value" ]; then
      _vapfarm_describe "$(_vapfarm_commands "$_vapfarm_path")"
      return
    fi
  fi
  case "$value" in
    @free | "") ;;
    @files) _files ;;
    @folders) _files -/ ;;
    @*) _vapfarm_describe "$("\${words[1]}" __complete "\${value#@}" "\${(@)words[2,-1]}" 2>/dev/null)" ;;
    *) compadd -- \${=value} ;;
  esac
}
if [ "\${funcstack[1]}" = "_vapfarm" ]; then _vapfarm "$@"; else compdef _vapfarm vapfarm ./vapfarm; fi`;

/** The script. */
export function zshScript(tree: CommandNode): string {
  return ["#compdef vapfarm", "# zsh completion for vapfarm", tableFunctions(tree), walkFunction, body].join("\n");
}
