# SPDX-License-Identifier: GPL-2.0
# bash completion for morselctl

# _morselctl_values KEY VERB...: what a verb's JSON has under a key.
_morselctl_values() {
	local key=$1
	shift
	morselctl --json "$@" 2>/dev/null | sed -nE "s/^ *\"$key\": \"?([^\",]+)\"?,?\$/\1/p"
}

_morselctl() {
	local cur prev verb='' second='' words='' options='--json --bytes --help' place=0 i
	local verbs='doctor pool limit create clone snapshot rollback diff list show who rm import export populate tune tree stat advise help'
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()

	# The verb, its second word, and how many arguments are before this one.
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-[gmpnIRBNcifkrsdwWot] | --kernel | --root | --granule | --mode | --pool | --node | --interleave | --preferred | --bind | --name | --count | --interval | --fault-around | --size | --readers | --writers | --write | --rounds | --trust)
			((i++))
			;;
		-*) ;;
		*)
			if [[ -z $verb ]]; then
				verb=${COMP_WORDS[i]}
			elif [[ $verb == @(pool|limit) && -z $second ]]; then
				second=${COMP_WORDS[i]}
			else
				((place++))
			fi
			;;
		esac
	done

	case $verb in
	create) options+=' --granule --mode --pool --node --interleave --preferred --bind --populate --reserve --fault-around' ;;
	import) options+=' --granule --mode --pool --node --interleave --preferred --bind --reserve --name --fault-around' ;;
	clone | snapshot) options+=' --mode' ;;
	tune) options+=' --fault-around' ;;
	stat) options+=' --count --interval' ;;
	advise) options+=' --size --readers --writers --write --rounds --trust' ;;
	doctor) options+=' --kernel --root' ;;
	'') options+=' --version' ;;
	esac

	case $prev in
	-g | --granule) words='auto 4k 2m' ;;
	-p | --pool) words=$(_morselctl_values id pool list) ;;
	-n | --node)
		words=$(cd /sys/devices/system/node 2>/dev/null && echo node*[0-9])
		words=${words//node/}
		;;
	-I | --interleave | -R | --preferred | -B | --bind)
		words="all $(cat /sys/devices/system/node/has_memory 2>/dev/null)"
		;;
	-f | --fault-around) words='4K 16K 64K 256K 2M' ;;
	-k | --kernel) words=$(cd /lib/modules 2>/dev/null && echo *) ;;
	-r | --root)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	-s | --size | -W | --write) words='4K 64K 1M 64M 1G 16G' ;;
	-t | --trust) words='all writers pages turns none' ;;
	-m | --mode) words='0600 0640 0660 0644' ;;
	-N | --name | -c | --count | -i | --interval | -d | --readers | -w | --writers | -o | --rounds) ;;
	*)
		if [[ $cur == -* ]]; then
			words=$options
		else
			case $verb,$second,$place in
			,,*) words=$verbs ;;
			help,,0) words=$verbs ;;
			pool,,*) words='list show add resize remove' ;;
			pool,show,* | pool,resize,0 | pool,remove,0)
				words=$(_morselctl_values name pool list)
				;;
			limit,,*) words='show set' ;;
			limit,show,0 | limit,set,0) words=$(compgen -u) ;;
			limit,set,1) words='none default' ;;
			show,,* | who,,* | rm,,* | populate,,* | tune,,* | tree,,0 | export,,0 | clone,,0 | snapshot,,0 | rollback,,* | diff,,*)
				words=$(_morselctl_values name list)
				;;
			import,,0 | export,,1)
				compopt -o filenames 2>/dev/null
				mapfile -t COMPREPLY < <(compgen -f -- "$cur")
				return
				;;
			esac
		fi
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _morselctl morselctl
