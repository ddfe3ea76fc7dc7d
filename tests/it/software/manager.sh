#!/bin/sh
# A package manager for tests. A unit is a file in `units`, with lines FIELD=VALUE; `run` has the services that are active.
# A file to be installed has the same lines, and one of `behave`.
cd "${0%/*}" || exit 1
T=$(printf '\t')

table() { # directory
	for file in "$1"/*; do
		[ ! -f "$file" ] || sed -n "s/^\([a-z_]*\)=/${file##*/}$T\1$T/p" "$file"
	done
}

behave() {
	[ ! -e "$UNIT_FILE" ] || sed -n 's/^behave=//p' "$UNIT_FILE"
}

put() { # name
	mkdir -p services
	sed -n '/^[a-z_]*=/p' "$UNIT_FILE" >"units/.new"
	# The URL of the last operation, and the identity of the first one.
	{
		grep -v '^uuid=' units/.new
		echo "url=$UNIT_URL"
		if [ -e "units/$1" ]; then grep '^uuid=' "units/$1"; else echo "uuid=${UNIT_UUID:-$(cat given-uuid)}"; fi
		echo "status=Installed"
		echo "resolved=1"
		echo "environment=$(cat environment)"
		echo "execution_units=svc-$1"
	} >units/.newer
	mv units/.newer "units/$1"
	rm units/.new
	[ -e "services/svc-$1" ] || printf 'status=Idle\nenvironment=%s\n' "$(cat environment)" >"services/svc-$1"
}

case $1:$2 in
unit:list) ls units ;;
unit:get) cat >/dev/null && table units ;;
execution:list) ls services ;;
execution:get) cat >/dev/null && table services ;;
environment:list) printf 'main\nother\n' ;;
environment:get) cat >/dev/null && printf 'main\tname\tmain\nother\tname\tother\nother\tstatus\tDisabled\n' ;;
*)
	echo "$1 key=$(printf %s "$UNIT_KEY" | tr '\n' '+') uuid=$UNIT_UUID version=$UNIT_VERSION environment=$UNIT_ENVIRONMENT user=$UNIT_USERNAME:$UNIT_PASSWORD" >>trace
	case $(behave) in
	hang) sleep 60 ;;
	flood) while :; do echo "flood flood flood flood flood flood flood flood flood flood"; done ;;
	die) kill -9 $$ ;;
	exit) exit 3 ;;
	refuse) exit 77 ;;
	torn) printf 'half a line' && exit 0 ;;
	slow) echo $$ >slow && while [ ! -e go ]; do sleep 0.01; done ;;
	[0-9]*) printf 'Fault\t%s\nFaultString\tbecause\tof it\n' "$(behave)" | sed 's/because\t/because /' && exit 0 ;;
	esac
	case $1 in
	install)
		name=$(sed -n 's/^name=//p' "$UNIT_FILE")
		if [ -e "units/$name" ]; then printf 'Fault\t9026\n'; else put "$name" && echo "$name"; fi
		;;
	update)
		if [ -n "$UNIT_FILE" ]; then
			put "$UNIT_KEY" && echo "$UNIT_KEY"
		else
			for unit in ${UNIT_KEY:-$(ls units)}; do
				sed -i 's/^version=.*/version=9.9/' "units/$unit" && echo "$unit"
			done
		fi
		;;
	uninstall) for unit in $UNIT_KEY; do rm -f "units/$unit" "services/svc-$unit"; done ;;
	start) sed -i 's/^status=.*/status=Active/' "services/$UNIT_KEY" ;;
	stop) sed -i 's/^status=.*/status=Idle/' "services/$UNIT_KEY" ;;
	esac
	;;
esac
