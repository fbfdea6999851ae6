# @TEST-DOC: A value that cannot work is refused when the node starts, with the option's name and the value, and an exit code that tells.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: sh ./try.sh linger_ms=-2 log_rcvhwm=-1 log_sndhwm=-1 xpub_sndhwm=-1 xsub_rcvhwm=-1 log_rcvbuf=-2 log_sndbuf=-2 xpub_sndbuf=-2 xsub_rcvbuf=-2 engine_threads=0 proxy_io_threads=0 connect_xpub_endpoint=tcp:nowhere connect_xsub_endpoint=carrier-pigeon://x >refused
# @TEST-EXEC: btest-diff refused

@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;

event zeek_init() &priority=-20
	{
	terminate();
	}

# @TEST-START-FILE try.sh
for setting in "$@"; do
    option=${setting%%=*}
    value=${setting#*=}
    if timeout 60 zeek -b refused-values.zeek "Cluster::Backend::ZeroMQ::$setting" >/dev/null 2>err; then
        echo "$setting: accepted"
    elif grep -q "error.*$option" err && grep "error.*$option" err | grep -qF -- "$value"; then
        echo "$setting: refused, named with its value"
    else
        echo "$setting: failed, but not named:"
        cat err
    fi
done
# @TEST-END-FILE
