# @TEST-DOC: A node under a load of events survives child processes that end and harmless signals, and ends in order on SIGTERM.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: wait-for test -e worker-1/enough
# @TEST-EXEC: for i in $(seq 200); do kill -CHLD $(cat manager/pid) $(cat worker-1/pid); done
# @TEST-EXEC: kill -TERM $(cat worker-1/pid)
# @TEST-EXEC: wait-for test -e worker-1/rc
# @TEST-EXEC: wait-for grep -q "node_down" manager/out
# @TEST-EXEC: kill -TERM $(cat manager/pid)
# @TEST-EXEC: btest-bg-wait 60
# @TEST-EXEC: cat manager/rc worker-1/rc >codes
# @TEST-EXEC: btest-diff codes

@load cluster-test

global ball: event(n: count);

@if ( Cluster::node == "manager" )
redef Test::expected += { "worker-1" };
@endif

event zeek_init()
	{
	local f = open("pid");
	print f, getpid();
	close(f);
	}

event Cluster::node_down(name: string, id: string)
	{
	print "node_down", name;
	flush_all();
	}

event ball(n: count)
	{
	if ( n % 101 == 0 )
		system("true");

	if ( n == 2000 )
		close(open("enough"));

	Cluster::publish(Cluster::local_node_type() == Cluster::MANAGER ? Cluster::worker_topic : Cluster::manager_topic, ball, n + 1);
	}

event Test::everyone_up()
	{
	event ball(1);
	}
