# @TEST-DOC: With keys in the environment the cluster works as ever, and no secret key shows in what the nodes print and log, debug lines included, nor in their arguments.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: zeek -b keys.zeek >keys
# @TEST-EXEC: sh ./run.sh
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: zeek-cut node <logger-1/test.log | sort >rows
# @TEST-EXEC: btest-diff rows
# @TEST-EXEC: sh ./secrets.sh

# @TEST-START-FILE keys.zeek
@load policy/frameworks/cluster/backend/zeromq/options

event zeek_init()
	{
	for ( side in set("CLIENT", "SERVER") )
		{
		local pair = Cluster::Backend::ZeroMQ::generate_keypair();
		print fmt("ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_%s_PUBLICKEY='%s'", side, pair["public"]);
		print fmt("ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_%s_SECRETKEY='%s'", side, pair["secret"]);
		}
	}
# @TEST-END-FILE

# @TEST-START-FILE run.sh
set -ea
. ./keys
node manager node.zeek Cluster::Backend::ZeroMQ::debug_flags=3
node logger-1 node.zeek Cluster::Backend::ZeroMQ::debug_flags=3
node worker-1 node.zeek Cluster::Backend::ZeroMQ::debug_flags=3
wait-for rows 2
ps -eww -o args >arguments
touch all-written
btest-bg-wait 100
# @TEST-END-FILE

# @TEST-START-FILE secrets.sh
. ./keys
grep -q node.zeek arguments && grep -q 'zeromq. thread starting' worker-1/.stderr || exit 1
for key in "$ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_CLIENT_SECRETKEY" "$ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_SERVER_SECRETKEY"; do
    if grep -rlF -e "$key" arguments manager logger-1 worker-1; then exit 1; fi
done
# @TEST-END-FILE

# @TEST-START-FILE node.zeek
@load cluster-test

module LogTest;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		node: string &log;
	};
}

redef Test::expected = set("manager", "logger-1", "worker-1") - set(Cluster::node);

@if ( Cluster::node == "manager" )
redef Test::end_on_file = "../all-written";

event Test::everyone_up()
	{
	print "everyone up";
	}
@endif

event zeek_init()
	{
	Log::create_stream(LOG, Log::Stream($columns=Info, $path="test"));
	}

event Test::everyone_up()
	{
	if ( Cluster::node != "logger-1" )
		Log::write(LOG, Info($node=Cluster::node));
	}
# @TEST-END-FILE
