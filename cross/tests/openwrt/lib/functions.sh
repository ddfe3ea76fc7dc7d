# shellcheck shell=dash
# The part of OpenWrt's /lib/functions.sh that the scripts use, for one package: it reads sections
# from $UCI_CONFIG_DIR.

config_load() {
	local line number section=''
	[ -r "$UCI_CONFIG_DIR/$1" ] || return 1
	while IFS= read -r line || [ -n "$line" ]; do
		# UCI quotes and comments as a shell does.
		eval "set -- $line"
		case $1 in
		config) section=$3 ;;
		option) eval "CONFIG_${section}_$2=\$3" ;;
		list)
			eval "number=\$((\${CONFIG_${section}_$2_LENGTH:-0} + 1))"
			eval "CONFIG_${section}_$2_LENGTH=\$number CONFIG_${section}_$2_ITEM$number=\$3"
			;;
		esac
	done <"$UCI_CONFIG_DIR/$1"
}

config_get() { # variable section option [default]
	eval "$1=\${CONFIG_$2_$3:-\$4}"
}

config_get_bool() { # variable section option [default]
	local found
	config_get found "$2" "$3" "$4"
	case $found in
	1 | on | true | yes | enabled) eval "$1=1" ;;
	0 | off | false | no | disabled) eval "$1=0" ;;
	*) eval "$1=\$4" ;;
	esac
}

config_list_foreach() { # section option function
	local count at=1 item
	eval "count=\${CONFIG_$1_$2_LENGTH:-0}"
	while [ "$at" -le "$count" ]; do
		eval "item=\${CONFIG_$1_$2_ITEM$at}"
		"$3" "$item"
		at=$((at + 1))
	done
}
