# @TEST-DOC: When the broker is killed the nodes lose each other; when it is back they find each other again by themselves.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node -x -d broker-1 - broker.zeek
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: wait-for grep -q node_up manager/out
# @TEST-EXEC: wait-for grep -q node_up worker-1/out
# @TEST-EXEC: kill -9 $(cat broker-1/pid)
# @TEST-EXEC: wait-for grep -q node_down manager/out
# @TEST-EXEC: wait-for grep -q node_down worker-1/out
# @TEST-EXEC: node -d broker-2 - broker.zeek
# @TEST-EXEC: wait-for test -e manager/rc -a -e worker-1/rc
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

# @TEST-START-FILE broker.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;
redef Test::end_on_file = "../over";

event zeek_init()
	{
	local f = open("pid");
	print f, getpid();
	close(f);
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./worker

global times_up = 0;

event Cluster::node_up(name: string, id: string)
	{
	if ( ++times_up == 2 )
		Cluster::publish(Cluster::nodeid_topic(id), ping);
	}

event pong()
	{
	print "pong";
	Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = F;

global ping: event();
global pong: event();

event ping()
	{
	Cluster::publish(Cluster::manager_topic, pong);
	}

event Cluster::node_up(name: string, id: string)
	{
	print "node_up", name;
	flush_all();
	}

event Cluster::node_down(name: string, id: string)
	{
	print "node_down", name;
	flush_all();
	}
# @TEST-END-FILE
