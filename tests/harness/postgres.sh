# Runs a PostgreSQL server in a folder of its own, for whoever holds the other end of standard input; see postgres.rs.
# The first argument is the folder of its programs, the others begin every command that root may not run.
set -u
# A terminal's Ctrl-C is meant for the tests. Their end is the end of our input, whatever ends them.
trap '' HUP INT TERM
bin=$1
shift
folder=$(mktemp -d "${TMPDIR:-/tmp}/choir-postgres-XXXXXX") || exit 1

server() { "$@" </dev/null >>"$folder/log" 2>&1; }

leave() {
    server "$@" "$bin/pg_ctl" -D "$folder/data" -m immediate stop
    rm -rf "$folder"
}
trap 'leave "$@"' EXIT

answer() {
    if [ "$1" = 0 ]; then echo "done"; else tail -n 5 "$folder/log" | tr '\n' ' ' && echo; fi
}

: >"$folder/log"
if [ $# -gt 0 ]; then
    chown "$CHOIR_POSTGRES_USER" "$folder" "$folder/log" || exit 1
fi
cd "$folder" || exit 1
# Texts are in the order of a language, so that whoever needs another order and does not say so is found out.
server "$@" "$bin/initdb" --no-sync --auth=trust --username=postgres --encoding=UTF8 \
    --locale=C.UTF-8 --locale-provider=icu --icu-locale=en -D "$folder/data" || { answer 1; exit 1; }
# What is committed outlives the server, though not the machine.
cat >>"$folder/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$folder'
max_connections = 200
shared_buffers = 32MB
fsync = off
full_page_writes = off
CONF
server "$@" "$bin/pg_ctl" -D "$folder/data" -w start
answer $?
echo "$folder"
while read -r order name; do
    case $order in
        create) server "$bin/createdb" -h "$folder" -U postgres "$name" ;;
        drop) server "$bin/dropdb" -h "$folder" -U postgres --force "$name" ;;
        stop) server "$@" "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop ;;
        start) server "$@" "$bin/pg_ctl" -D "$folder/data" -w start ;;
    esac
    answer $?
done
