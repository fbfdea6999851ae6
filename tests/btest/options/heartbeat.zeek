# @TEST-DOC: A node that has stopped without closing its connections goes down after heartbeat_timeout.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node -x worker-1 worker.zeek
# @TEST-EXEC: wait-for grep -q node_up manager/out
# @TEST-EXEC: kill -STOP $(cat worker-1/pid)
# @TEST-EXEC: wait-for grep -q node_down manager/out; kill -9 $(cat worker-1/pid)
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

# @TEST-START-FILE common.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::heartbeat_interval = 1sec;
redef Cluster::Backend::ZeroMQ::heartbeat_timeout = 2secs;
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

event Cluster::node_up(name: string, id: string)
	{
	print "node_up", name;
	flush_all();
	}

event Cluster::node_down(name: string, id: string)
	{
	print "node_down", name;
	terminate();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

event zeek_init()
	{
	local f = open("pid");
	print f, getpid();
	close(f);
	}
# @TEST-END-FILE
