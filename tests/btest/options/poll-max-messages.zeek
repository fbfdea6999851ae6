# @TEST-DOC: With poll_max_messages=1 the engine takes one turn for every event that waits, with a large value far fewer.
#
# The receiver is stopped while the events are sent, so that they all wait for it.
# How often its engine turns around is counted by the lines of debug_flags=1.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 receiver.zeek Cluster::Backend::ZeroMQ::poll_max_messages=1
# @TEST-EXEC: node worker-2 receiver.zeek Cluster::Backend::ZeroMQ::poll_max_messages=1000
# @TEST-EXEC: wait-for grep -q ready manager/out
# @TEST-EXEC: kill -STOP $(cat worker-1/pid) $(cat worker-2/pid)
# @TEST-EXEC: touch stopped
# @TEST-EXEC: wait-for grep -q sent manager/out
# @TEST-EXEC: kill -CONT $(cat worker-1/pid) $(cat worker-2/pid)
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: test $(grep -c "poll: " worker-1/.stderr) -ge 500
# @TEST-EXEC: test $(grep -c "poll: " worker-2/.stderr) -lt 400

# @TEST-START-FILE common.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::xpub_sndhwm = 0;
redef Cluster::Backend::ZeroMQ::xsub_rcvhwm = 0;

global datum: event(n: count);
global got_all: event();
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1", "worker-2" };

global done = 0;

event send_when_stopped()
	{
	if ( file_size("../stopped") < 0.0 )
		{
		schedule 50msecs { send_when_stopped() };
		return;
		}

	local n = 0;

	while ( n < 500 )
		Cluster::publish(Cluster::worker_topic, datum, ++n);

	print "sent";
	flush_all();
	}

event Test::everyone_up()
	{
	print "ready";
	flush_all();
	event send_when_stopped();
	}

event got_all()
	{
	if ( ++done == 2 )
		Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE receiver.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::debug_flags = 1;

event zeek_init()
	{
	local f = open("pid");
	print f, getpid();
	close(f);
	}

event datum(n: count)
	{
	if ( n == 500 )
		Cluster::publish(Cluster::manager_topic, got_all);
	}
# @TEST-END-FILE
