# @TEST-DOC: What zeekctl writes into its configuration for this backend, with encryption and also stand-alone, works, and zeekctl's way of making keys does.
#
# @TEST-PORT: A_PORT
# @TEST-PORT: ANOTHER_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: sh ./run.sh
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: btest-diff worker-1/out
# @TEST-EXEC: btest-diff zeek/out

# @TEST-START-FILE run.sh
set -e
# Without -b the plugin is active, with it only by the environment: both ways.
zeek -b -e 'print to_json(Cluster::Backend::ZeroMQ::generate_keypair())' >server
env -u ZEEK_PLUGIN_ACTIVATE zeek -b -e 'print to_json(Cluster::Backend::ZeroMQ::generate_keypair())' >client
key() { sed 's/.*"'$2'": *"\([^"]*\)".*/\1/' $1; }
for side in server client; do
    for kind in public secret; do
        test "$(key $side $kind | tr -d '\n' | wc -c)" = 40
        echo "@if ( |Cluster::Backend::ZeroMQ::curve_${side}_${kind}key| == 0 )"
        echo "redef Cluster::Backend::ZeroMQ::curve_${side}_${kind}key = \"$(key $side $kind)\";"
        echo "@endif"
    done
done >keys.zeek
a=127.0.0.1:${A_PORT%/tcp} another=127.0.0.1:${ANOTHER_PORT%/tcp}
cat >zeekctl-config.zeek <<END
@if ( Version::at_least("8.1.0") )
@load policy/frameworks/cluster/backend/zeromq
@else
@load policy/frameworks/cluster/backend/zeromq/connect
@endif
redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = "tcp://$a";
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = "tcp://$another";
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = "tcp://$another";
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = "tcp://$a";
redef Cluster::Backend::ZeroMQ::ipv6 = F;
@load ./keys
END
node manager node.zeek
node logger-1 node.zeek
node worker-1 node.zeek
btest-bg-wait 60
node -d zeek - alone.zeek
btest-bg-wait 60
# @TEST-END-FILE

# @TEST-START-FILE node.zeek
@load cluster-test
@load ./zeekctl-config

redef Test::expected = set("manager", "logger-1", "worker-1") - set(Cluster::node);

global ball: event();

event ball()
	{
	print "ball";

	if ( Cluster::node == "manager" )
		Test::end();
	else
		Cluster::publish(Cluster::manager_topic, ball);
	}

event Test::everyone_up()
	{
	if ( Cluster::node == "manager" )
		Cluster::publish(Cluster::worker_topic, ball);
	}
# @TEST-END-FILE

# @TEST-START-FILE alone.zeek
@load cluster-test
@load ./zeekctl-config

redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;

event zeek_init()
	{
	Cluster::subscribe("zeek.cluster.node.zeek.");
	}

event Cluster::Backend::ZeroMQ::subscription(topic: string)
	{
	if ( topic != "zeek.cluster.node.zeek." )
		return;

	print topic;
	terminate();
	}
# @TEST-END-FILE
