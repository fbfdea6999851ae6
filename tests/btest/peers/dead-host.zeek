# @TEST-DOC: A host that the network loses, without a word to anybody, is noticed within seconds of heartbeat_timeout; when it is back its node comes up once and gets events again. Without heartbeats and keep-alive it is not noticed.
#
# @TEST-REQUIRES: need-netns
#
# @TEST-EXEC: two-hosts ./lost-and-found.sh
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: sort worker-1/out >worker-1.sorted
# @TEST-EXEC: btest-diff worker-1.sorted
# @TEST-EXEC: two-hosts ./unnoticed.sh

# @TEST-START-FILE lost-and-found.sh
on a node TEST_IP=10.213.1.2 manager node.zeek
on b node TEST_IP=10.213.1.2 worker-1 node.zeek
wait-for grep -q "came" worker-1/out
wait-for grep -q "node_up" manager/out
wait-for grep -q "node_up" worker-1/out
cut
start=$(date +%s)
# Ours: 6 seconds of heartbeat_timeout, and as many for a busy machine.
wait-for -t 12 grep -q node_down manager/out
echo "noticed after $(($(date +%s) - start)) seconds" >noticed
mend
touch mended
wait-for grep -q "came after" worker-1/out
wait-for sh -c 'grep -c node_up manager/out | grep -qx 2'
touch over
btest-bg-wait 60
# @TEST-END-FILE

# @TEST-START-FILE unnoticed.sh
rm over mended
off="Cluster::Backend::ZeroMQ::heartbeat_interval=0secs Cluster::Backend::ZeroMQ::tcp_keepalive=F"
on a node -x -d deaf-manager TEST_IP=10.213.1.2 manager node.zeek $off
on b node -x -d deaf-worker TEST_IP=10.213.1.2 worker-1 node.zeek $off
wait-for grep -q "came" deaf-worker/out
wait-for grep -q "node_up" deaf-manager/out
cut
! wait-for -t 15 grep -q node_down deaf-manager/out
# The end of two-hosts is theirs.
# @TEST-END-FILE

# @TEST-START-FILE node.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = "tcp://10.213.1.2:5555";
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = "tcp://10.213.1.2:5556";
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = "tcp://10.213.1.2:5556";
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = "tcp://10.213.1.2:5555";

redef Test::end_on_file = "../over";

global tick: event(stage: string);
global seen: set[string];

@if ( Cluster::node == "manager" )
event send()
	{
	if ( zeek_is_terminating() )
		return;

	Cluster::publish(Cluster::worker_topic, tick, file_size("../mended") < 0.0 ? "before" : "after");
	schedule 100msecs { send() };
	}

event zeek_init()
	{
	event send();
	}
@endif

event tick(stage: string)
	{
	if ( stage in seen )
		return;

	add seen[stage];
	print fmt("an event came %s", stage);
	flush_all();
	}

event Cluster::node_up(name: string, id: string)
	{
	print fmt("node_up %s", name);
	flush_all();
	}

event Cluster::node_down(name: string, id: string)
	{
	if ( ! Test::ending && ! zeek_is_terminating() )
		print fmt("node_down %s", name);

	flush_all();
	}
# @TEST-END-FILE
