# @TEST-DOC: With the high-water marks off, many events of one node arrive all, once, and in order.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

# @TEST-START-FILE common.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::xpub_sndhwm = 0;
redef Cluster::Backend::ZeroMQ::xsub_rcvhwm = 0;
redef Cluster::Backend::ZeroMQ::onloop_queue_hwm = 0;

global datum: event(n: count);
const total = 50000;
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

global awaited = 1;
global out_of_order = 0;

event datum(n: count)
	{
	if ( n != awaited )
		++out_of_order;

	awaited = n + 1;

	if ( n == total )
		{
		print fmt("%d events, %d out of order", n, out_of_order);
		Test::end();
		}
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

redef Test::expected += { "manager" };

event Test::everyone_up()
	{
	local n = 0;
	local topic = Cluster::nodeid_topic(Test::up["manager"]);

	while ( n < total )
		Cluster::publish(topic, datum, ++n);
	}
# @TEST-END-FILE
