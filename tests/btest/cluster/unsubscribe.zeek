# @TEST-DOC: A node that has unsubscribed from a topic gets no more of it, while another subscriber still does.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 fickle.zeek
# @TEST-EXEC: node worker-2 faithful.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff worker-1/out
# @TEST-EXEC: btest-diff worker-2/out

# @TEST-START-FILE common.zeek
@load cluster-test

global news: event(n: count);
global marker: event(n: count);
global ack: event(who: string, n: count);

event news(n: count)
	{
	print "news", n;
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1", "worker-2" };

global n = 0;
global acks = 0;
global unsubscribed = F;

function send()
	{
	++n;
	Cluster::publish("test.news.", news, n);
	# Behind the news, on a topic that both keep.
	Cluster::publish(Cluster::worker_topic, marker, n);
	}

event Test::everyone_up()
	{
	send();
	}

function proceed()
	{
	if ( acks < 2 * n || ! unsubscribed )
		return;

	if ( n == 3 )
		Test::end();
	else
		send();
	}

event ack(who: string, m: count)
	{
	++acks;
	proceed();
	}

# It follows the unsubscription on its way through the broker; an ack might be faster.
event Cluster::Backend::ZeroMQ::subscription(topic: string)
	{
	if ( topic != "test.unsubscribed." )
		return;

	unsubscribed = T;
	proceed();
	}
# @TEST-END-FILE

# @TEST-START-FILE fickle.zeek
@load ./common

event zeek_init() &priority=-20
	{
	Cluster::subscribe("test.news.");
	}

event marker(n: count)
	{
	if ( n == 1 )
		{
		Cluster::unsubscribe("test.news.");
		Cluster::subscribe("test.unsubscribed.");
		}

	Cluster::publish(Cluster::manager_topic, ack, Cluster::node, n);
	}
# @TEST-END-FILE

# @TEST-START-FILE faithful.zeek
@load ./common

event zeek_init() &priority=-20
	{
	Cluster::subscribe("test.news.");
	}

event marker(n: count)
	{
	Cluster::publish(Cluster::manager_topic, ack, Cluster::node, n);
	}
# @TEST-END-FILE
