# @TEST-DOC: Every role has its topic, and the pools pick one of their members.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node logger-1 other.zeek
# @TEST-EXEC: node proxy-1 other.zeek
# @TEST-EXEC: node worker-1 other.zeek
# @TEST-EXEC: node worker-2 other.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/topics
# @TEST-EXEC: sort <manager/out >manager.out
# @TEST-EXEC: btest-diff manager.out

# @TEST-START-FILE common.zeek
@load cluster-test

global call: event(topic: string);
global answer: event(topic: string, who: string);
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "logger-1", "proxy-1", "worker-1", "worker-2" };

global answers = 0;

event zeek_init()
	{
	local f = open("topics");
	print f, Cluster::manager_topic, Cluster::logger_topic, Cluster::proxy_topic, Cluster::worker_topic;
	print f, Cluster::logger_pool_spec$topic, Cluster::proxy_pool_spec$topic, Cluster::worker_pool_spec$topic;
	print f, Cluster::logger_pool_spec$node_type, Cluster::proxy_pool_spec$node_type, Cluster::worker_pool_spec$node_type;
	print f, Cluster::node_topic("n"), Cluster::nodeid_topic("i");
	close(f);
	}

event Test::everyone_up()
	{
	for ( t in set(Cluster::logger_topic, Cluster::proxy_topic, Cluster::worker_topic,
	               Cluster::logger_pool_spec$topic, Cluster::proxy_pool_spec$topic, Cluster::worker_pool_spec$topic) )
		Cluster::publish(t, call, t);

	Cluster::publish_rr(Cluster::worker_pool, "key", call, "round robin");
	Cluster::publish_hrw(Cluster::worker_pool, "key", call, "hash");
	}

event answer(topic: string, who: string)
	{
	print topic, topic == "round robin" || topic == "hash" ? who[0:6] : who;

	if ( ++answers == 10 )
		Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE other.zeek
@load ./common

event call(topic: string)
	{
	Cluster::publish(Cluster::manager_topic, answer, topic, Cluster::node);
	}
# @TEST-END-FILE
