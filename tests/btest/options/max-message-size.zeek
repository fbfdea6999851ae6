# @TEST-DOC: A message longer than max_message_size does not arrive, and later ones do.
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

global data: event(what: string, bytes: string);
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1" };

# The broker runs here and turns the message away.
redef Cluster::Backend::ZeroMQ::max_message_size = 100000;

event data(what: string, bytes: string)
	{
	if ( Test::ending )
		return;

	print what, |bytes|;

	if ( what == "after" )
		Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

redef Test::expected += { "manager" };

# Again and again, as the connection has to be made anew in between.
event after()
	{
	if ( zeek_is_terminating() )
		return;

	Cluster::publish(Cluster::manager_topic, data, "after", "");
	schedule 200msecs { after() };
	}

event Test::everyone_up()
	{
	Cluster::publish(Cluster::manager_topic, data, "before", Test::text(90000));
	Cluster::publish(Cluster::manager_topic, data, "too long", Test::text(200000));
	schedule 200msecs { after() };
	}
# @TEST-END-FILE
