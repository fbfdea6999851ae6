# @TEST-DOC: The Go library is loaded by a process that joins a cluster, and by no other: not for -N, not to check scripts, not with another backend, not for zeekctl's checks.
#
# What the dynamic linker says about the files it loads tells it.
#
# @TEST-EXEC: sh ./loads.sh "list plugins" zeek -N >loads
# @TEST-EXEC: sh ./loads.sh "plugin's details" zeek -NN Zeek::ZeroMQ_Go >>loads
# @TEST-EXEC: sh ./loads.sh "check scripts" zeek -b --parse-only package.zeek >>loads
# @TEST-EXEC: sh ./loads.sh "no cluster" zeek -b nothing.zeek >>loads
# @TEST-EXEC: sh ./loads.sh "options only" zeek -b options.zeek >>loads
# @TEST-EXEC: sh ./loads.sh "other backend" zeek -b broker.zeek >>loads
# @TEST-EXEC: ZEEKCTL_CHECK_CONFIG=1 sh ./loads.sh "zeekctl check" zeek -b package.zeek >>loads
# @TEST-EXEC: ZEEKCTL_DISABLE_LISTEN=1 sh ./loads.sh "zeekctl print" zeek -b package.zeek >>loads
# @TEST-EXEC: sh ./loads.sh "member" zeek -b package.zeek >>loads
# @TEST-EXEC: btest-diff loads

# @TEST-START-FILE loads.sh
what=$1
shift
LD_DEBUG=files LD_DEBUG_OUTPUT=ld.out "$@" >out 2>err || { cat err >&2; exit 1; }
if cat ld.out.* | grep -q 'libzeekzmq\.so'; then
    echo "$what: loaded"
else
    echo "$what: not loaded"
fi
rm -f ld.out.*
# @TEST-END-FILE

# @TEST-START-FILE nothing.zeek
event zeek_init()
	{
	print "nothing";
	}
# @TEST-END-FILE

# @TEST-START-FILE options.zeek
@load policy/frameworks/cluster/backend/zeromq/options
# @TEST-END-FILE

# @TEST-START-FILE broker.zeek
redef Cluster::backend = Cluster::CLUSTER_BACKEND_BROKER;
# @TEST-END-FILE

# @TEST-START-FILE package.zeek
@load policy/frameworks/cluster/backend/zeromq

event zeek_init() &priority=-20
	{
	terminate();
	}
# @TEST-END-FILE
