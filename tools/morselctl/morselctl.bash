# SPDX-License-Identifier: GPL-2.0
# bash completion for morselctl

_morselctl_names() {
	morselctl list --json 2>/dev/null | sed -n 's/^ *"name": "\(..*\)",$/\1/p'
}

_morselctl() {
	local cur verb='' word
	local verbs='doctor pool limit create list show rm import export populate tree stat help'
	cur=${COMP_WORDS[COMP_CWORD]}
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		if [[ $word != -* ]]; then
			verb=$word
			break
		fi
	done
	case $verb in
	'') mapfile -t COMPREPLY < <(compgen -W "$verbs --json --bytes --version --help" -- "$cur") ;;
	pool) mapfile -t COMPREPLY < <(compgen -W 'list show add resize remove' -- "$cur") ;;
	limit) mapfile -t COMPREPLY < <(compgen -W 'show set' -u -- "$cur") ;;
	help) mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur") ;;
	import) mapfile -t COMPREPLY < <(compgen -W '-g -m -p -N' -f -- "$cur") ;;
	export) mapfile -t COMPREPLY < <(compgen -W "$(_morselctl_names)" -f -- "$cur") ;;
	create) mapfile -t COMPREPLY < <(compgen -W '-g -m -p -n -P' -- "$cur") ;;
	stat) mapfile -t COMPREPLY < <(compgen -W '-c -i' -- "$cur") ;;
	show | rm | populate | tree) mapfile -t COMPREPLY < <(compgen -W "$(_morselctl_names)" -- "$cur") ;;
	esac
}

complete -F _morselctl morselctl
