# @TEST-DOC: What a node publishes reaches every other subscriber of the topic, but never the node itself.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: node worker-2 worker.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: sort <manager/out >manager.out
# @TEST-EXEC: btest-diff manager.out
# @TEST-EXEC: btest-diff worker-1/out
# @TEST-EXEC: btest-diff worker-2/out

# @TEST-START-FILE common.zeek
@load cluster-test

global news: event(from: string);
global done: event(from: string);

event zeek_init()
	{
	Cluster::subscribe("test.news.");
	}

event news(from: string)
	{
	print "news from", from;
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1", "worker-2" };

global reports = 0;

event Test::everyone_up()
	{
	Cluster::publish("test.news.today", news, Cluster::node);
	Cluster::publish("test.news.today", done, Cluster::node);
	}

# The workers answer on the same way that our own event would have taken, so it
# would have come before.
event done(from: string)
	{
	if ( ++reports == 2 )
		Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

event done(from: string)
	{
	if ( from == "manager" )
		Cluster::publish("test.news.", done, Cluster::node);
	}
# @TEST-END-FILE
