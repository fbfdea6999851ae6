# @TEST-DOC: Every metric of a cluster with the built-in backend is there with ours, with the same type and labels; what else is there begins with zeek_cluster_zeromq_.
#
# @TEST-REQUIRES: need-builtin
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: WEBSOCKET_PORT
# @TEST-PORT: METRICS_PORT
# @TEST-PORT: METRICS_PORT_2
#
# @TEST-EXEC: sh -e ./run.sh builtin ZEEKZMQ_DISABLE=1
# @TEST-EXEC: sh -e ./run.sh ours
# @TEST-EXEC: for node in manager worker-1; do grep -q zeek_cluster_zeromq_xpub_drops_total $node.builtin; diff $node.builtin $node.ours | grep '^[<>]' >$node.diff; done
# @TEST-EXEC: ! grep -v '^> \(# TYPE \)\?zeek_cluster_zeromq_' *.diff >&2

# @TEST-START-FILE run.sh
kind=$1
shift
rm -f over
node -d $kind-manager $* manager node.zeek Telemetry::metrics_port=$METRICS_PORT
node -d $kind-worker $* worker-1 node.zeek Telemetry::metrics_port=$METRICS_PORT_2
wait-for test -e $kind-manager/ready
btest-bg-run $kind-client "ws-client $WEBSOCKET_PORT test.ws. hail one >out"
wait-for grep -q hail $kind-worker/out
series $METRICS_PORT >manager.$kind
series $METRICS_PORT_2 >worker-1.$kind
touch over
btest-bg-wait 60
# @TEST-END-FILE

# @TEST-START-FILE node.zeek
@load cluster-test

redef Test::end_on_file = "../over";

global hail: event(who: string);
global bye: event();

@if ( Cluster::node == "manager" )
redef Test::expected += { "worker-1" };

event Test::everyone_up()
	{
	Cluster::listen_websocket(Cluster::WebSocketServerOptions($listen_addr=127.0.0.1, $listen_port=to_port(getenv("WEBSOCKET_PORT"))));
	local f = open("ready");
	close(f);
	}
@else
event zeek_init()
	{
	Cluster::subscribe("test.ws.");
	}
@endif

event hail(who: string)
	{
	print "hail";
	flush_all();
	Cluster::publish("test.ws.answers", bye);
	}
# @TEST-END-FILE
