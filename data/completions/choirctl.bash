# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# bash completion for choirctl(1). Verbs and options are what its help says; users, channels and the
# like are those the service has at this moment. Clients choose these names: none is ever expanded
# or run.

# Within a second, or as many as CHOIRCTL_COMPLETION_SECONDS says, without a word, and without a
# question to anybody, also where ssh would ask one
_choirctl_ask () {
  SSH_ASKPASS=/bin/false SSH_ASKPASS_REQUIRE=force timeout "${CHOIRCTL_COMPLETION_SECONDS:-1}" "$program" \
    --json --no-ask-password "--timeout=${CHOIRCTL_COMPLETION_SECONDS:-1}s" "${where[@]}" "$@" </dev/null 2>/dev/null
}

# _choirctl_values KEY VERB...: the texts of that key in what the verb lists
_choirctl_values () {
  local key=$1
  shift
  _choirctl_ask "$@" | sed -n "s/^ *\"$key\" *: *\"\\([^\"\\\\]*\\)\",\\{0,1\\}\$/\\1/p" | sort -u
}

_choirctl_help () {
  LC_ALL=C timeout "${CHOIRCTL_COMPLETION_SECONDS:-1}" "$program" "$@" --help </dev/null 2>/dev/null
}

_choirctl_verbs () {
  _choirctl_help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'
}

# Those that take a value have a = behind them
_choirctl_options () {
  _choirctl_help "$@" | sed -n 's/^ *\(-[A-Za-z], \)\{0,1\}\(--[a-z-]\{1,\}=\{0,1\}\).*/\2/p'
}

_choirctl_list () {
  local begin=()
  [[ -z $cur ]] || begin=(--prefix="$cur")
  case $1 in
    connections) _choirctl_values connection connections --limit=200 ;;
    sessions) _choirctl_values session connections --limit=200 ;;
    dialects) _choirctl_values dialect connections --limit=200 ;;
    users) _choirctl_values user users --limit=200 "${begin[@]}" ;;
    channels) _choirctl_values channel channels --limit=200 "${begin[@]}" ;;
    documents) _choirctl_values document documents --limit=200 "${begin[@]}" ;;
    tasks) _choirctl_values task tasks --limit=200 ;;
    blocked) _choirctl_values user blocked --limit=200 ;;
    revoked) _choirctl_values jti revoked --limit=200 ;;
  esac
}

# Takes those of the words that begin as what is typed; compgen -W would expand them
_choirctl_offer () {
  local word
  for word; do
    [[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("$(printf '%q' "$word")")
  done
}

_choirctl_offer_list () {
  local found
  mapfile -t found < <(_choirctl_list "$1")
  _choirctl_offer "${found[@]}"
}

# _choirctl_value OPTION VERB: what may stand behind an option
_choirctl_value () {
  case $1 in
    --user) _choirctl_offer_list users ;;
    --channel) _choirctl_offer_list channels ;;
    --connection | --exclude) _choirctl_offer_list connections ;;
    --dialect)
      if [[ $2 == check ]]; then
        _choirctl_offer choir.v1 choir.v1.cbor
      else
        _choirctl_offer_list dialects
      fi ;;
    --direction) _choirctl_offer in out ;;
    --color) _choirctl_offer auto always never ;;
    --view) _choirctl_offer connections users slow channels ;;
    --sort) _choirctl_offer rate messages queued errors age connections subscribers bytes ;;
    --state) _choirctl_offer queued running completed failed cancelled ;;
    --host | -H) _known_hosts_real -a -- "$cur" ;;
    --ca) _filedir ;;
    --token)
      if [[ $cur == @* ]]; then
        cur=${cur#@}
        _filedir
        COMPREPLY=("${COMPREPLY[@]/#/@}")
      fi ;;
  esac
}

# _choirctl_word VERB N BEFORE: the Nth word behind the verb, from 0
_choirctl_word () {
  case $1:$2 in
    kick--user:*) _choirctl_offer_list users ;;
    send--connection:0) _choirctl_offer_list connections ;;
    kick:*) _choirctl_offer_list connections ;;
    block:*) _choirctl_offer_list users ;;
    unblock:*) _choirctl_offer_list blocked ;;
    unrevoke:*) _choirctl_offer_list revoked ;;
    send:0) _choirctl_offer_list users ;;
    publish:0) _choirctl_offer_list channels ;;
    subscribe:0 | unsubscribe:0) _choirctl_offer_list connections ;;
    subscribe:1 | unsubscribe:1) _choirctl_offer_list channels ;;
    read:0 | close-document:*) _choirctl_offer_list documents ;;
    cancel:*) _choirctl_offer_list tasks ;;
    show:0) _choirctl_offer connection session document channel task ;;
    show:1) _choirctl_offer_list "$3s" ;;
    log-level:0) _choirctl_offer debug info notice warning error ;;
    watch:*) _choirctl_offer connections users overload drain tasks properties objects ;;
    check:0) _choirctl_offer ws:// wss:// ;;
  esac
}

_choirctl () {
  local cur prev words cword split program=$1
  local where=() verb='' other='' option='' before='' n=0 i word options with_value

  _init_completion -n : -s || return

  with_value=' --address --node --host -H --color --timeout '
  for ((i = 1; i < cword; i++)); do
    word=${words[i]}
    case $word in
      --session | --system | --node=* | --host=* | -H?*) where+=("$word") ;;
      --node | --host | -H) where+=("$word" "${words[i + 1]}") ;;
      # behind some verbs it is a client's
      --address=*) [[ -n $verb ]] || where+=("$word") ;;
      --address) [[ -n $verb ]] || where+=("$word" "${words[i + 1]}") ;;
    esac
    # with these the words are something else
    case $verb$word in
      kick--user | send--connection) other=$word ;;
    esac
    case $word in
      --*=*) ;;
      -*)
        if [[ $with_value == *" $word "* ]]; then
          option=$word
          ((++i))
        fi ;;
      *)
        if [[ -z $verb ]]; then
          verb=$word
          mapfile -t options < <(_choirctl_options "$verb")
          for word in "${options[@]}"; do
            [[ $word != *= ]] || with_value+="${word%=} "
          done
        else
          before=$word
          ((++n))
        fi ;;
    esac
  done

  # the word to complete is the value of the option before it
  if [[ $split == true ]]; then
    _choirctl_value "$prev" "$verb"
  elif ((i > cword)); then
    _choirctl_value "$option" "$verb"
  elif [[ $cur == -* ]]; then
    [[ -n $verb ]] || mapfile -t options < <(_choirctl_options)
    _choirctl_offer "${options[@]}"
    [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace
  elif [[ -z $verb ]]; then
    mapfile -t options < <(_choirctl_verbs)
    _choirctl_offer "${options[@]}"
  else
    _choirctl_word "$verb$other" "$n" "$before"
    [[ ${COMPREPLY[0]} != *:// ]] || compopt -o nospace
  fi

  __ltrim_colon_completions "$cur"
}

complete -F _choirctl choirctl
