# @TEST-DOC: Events over xpub_sndhwm are dropped: each is counted, also by reason and topic, the operator is told once and once with the number, and Cluster::publish() returns T.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff worker-1/out
# @TEST-EXEC: test "$(grep -c 'dropped an event, xpub_sndhwm reached' worker-1/.stderr)" = 1
# @TEST-EXEC: test "$(grep -c "xpub: $(cat worker-1/drops) events were dropped, xpub_sndhwm reached" worker-1/.stderr)" = 1

# @TEST-START-FILE common.zeek
@load cluster-test

global red: event(data: string);
global done: event();
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::onloop_queue_hwm = 0;

event red(data: string) { }

event done()
	{
	Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::xpub_sndhwm = 5;
redef Cluster::Backend::ZeroMQ::xpub_sndbuf = 4096;
redef Test::expected += { "manager" };

global refused = 0;

function drops(topic: string): double
	{
	local sum = 0.0;

	for ( _, m in Telemetry::collect_metrics("zeek", "cluster_zeromq_drops_total") )
		{
		local labels: table[string] of string;

		for ( i, name in m$label_names )
			labels[name] = m$label_values[i];

		if ( labels["reason"] == "xpub_sndhwm" && labels["topic"] == topic )
			sum += m$value;
		}

	return sum;
	}

# Until it arrives: it may be dropped, too.
event last_word()
	{
	if ( zeek_is_terminating() )
		return;

	Cluster::publish(Cluster::manager_topic, done);
	schedule 200msecs { last_word() };
	}

event look()
	{
	local total = Test::counter("cluster_zeromq_xpub_drops_total");
	local by_topic = drops(Cluster::manager_topic) + drops("zeek.cluster.nodeid.__normalized__");

	# They travel to the main thread once a second.
	if ( total == 0.0 || by_topic != total )
		{
		schedule 100msecs { look() };
		return;
		}

	print fmt("refused by Cluster::publish(): %d", refused);
	print fmt("dropped to the manager's topics: %s, %s", drops(Cluster::manager_topic) > 0.0,
	    drops("zeek.cluster.nodeid.__normalized__") > 0.0);
	local f = open("drops");
	print f, fmt("%.0f", total);
	close(f);
	event last_word();
	}

event Test::everyone_up()
	{
	local data = Test::text(20000);
	local n = 0;

	while ( ++n <= 1000 )
		{
		if ( ! Cluster::publish(Cluster::manager_topic, red, data) )
			++refused;
		if ( ! Cluster::publish(Cluster::nodeid_topic(Test::up["manager"]), red, data) )
			++refused;
		}

	event look();
	}
# @TEST-END-FILE
