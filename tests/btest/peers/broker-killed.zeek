# @TEST-DOC: Each time the broker is killed and started again the cluster heals by itself within seconds: no node is started anew or comes up twice, and events pass again.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node -x -d broker-1 - broker.zeek
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: node worker-2 worker.zeek
# @TEST-EXEC: sh ./kill-and-restart.sh 1 2
# @TEST-EXEC: sh ./kill-and-restart.sh 2 3
# @TEST-EXEC: wait-for grep -q "events pass over broker-3" manager/out
# @TEST-EXEC: touch over
# @TEST-EXEC: wait-for test -e manager/rc -a -e worker-1/rc -a -e worker-2/rc
# @TEST-EXEC: kill $(cat broker-3/pid)
# @TEST-EXEC: btest-bg-wait 60
# @TEST-EXEC: sort manager/out >manager.sorted
# @TEST-EXEC: btest-diff manager.sorted
# @TEST-EXEC: grep node_up worker-1/out | sort >worker-1.nodes
# @TEST-EXEC: btest-diff worker-1.nodes

# @TEST-START-FILE kill-and-restart.sh
# The nodes try to connect again every second. They do not take each other for
# gone: to a node, a broker that is away is no sign of that.
wait-for grep -q "events pass over broker-$1" manager/out
kill -9 $(cat broker-$1/pid)
node -x -d broker-$2 - broker.zeek
touch broker-$2-started
wait-for -t 10 grep -q "events pass over broker-$2" manager/out
# @TEST-END-FILE

# @TEST-START-FILE broker.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;

event zeek_init()
	{
	local f = open("pid");
	print f, getpid();
	close(f);
	}
# @TEST-END-FILE

# @TEST-START-FILE common.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = F;

global ping: event(broker: string);
global pong: event(broker: string, node: string);

event Cluster::node_up(name: string, id: string)
	{
	print fmt("node_up %s", name);
	flush_all();
	}

event Cluster::node_down(name: string, id: string)
	{
	if ( Test::ending || zeek_is_terminating() )
		return;

	print fmt("node_down %s", name);
	flush_all();
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::end_on_file = "../over";

global answers: table[string] of set[string];

function broker(): string
	{
	return file_size("../broker-3-started") >= 0.0 ? "broker-3" :
	    file_size("../broker-2-started") >= 0.0 ? "broker-2" : "broker-1";
	}

# Keeps on asking, as events get lost while there is no broker.
event ask()
	{
	if ( zeek_is_terminating() )
		return;

	Cluster::publish(Cluster::worker_topic, ping, broker());
	schedule 100msecs { ask() };
	}

event zeek_init()
	{
	event ask();
	}

event pong(broker: string, node: string)
	{
	if ( broker !in answers )
		answers[broker] = set();

	if ( node in answers[broker] )
		return;

	add answers[broker][node];

	if ( |answers[broker]| == 2 )
		{
		print fmt("events pass over %s", broker);
		flush_all();
		}
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

event ping(broker: string)
	{
	Cluster::publish(Cluster::manager_topic, pong, broker, Cluster::node);
	}
# @TEST-END-FILE
