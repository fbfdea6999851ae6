# @TEST-DOC: With xpub_overload=OVERLOAD_BLOCK a burst of many times xpub_sndhwm arrives whole: publishing waits. Once nobody reads, it waits for overload_block_limit, once, then drops, counts and returns F, until there is room again.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node -x -d broker - broker.zeek
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: wait-for test -e worker-1/burst-1
# @TEST-EXEC: kill -STOP $(cat broker/pid)
# @TEST-EXEC: touch stopped
# @TEST-EXEC: wait-for test -e worker-1/burst-2
# @TEST-EXEC: kill -CONT $(cat broker/pid)
# @TEST-EXEC: wait-for test -e manager/rc -a -e worker-1/rc
# @TEST-EXEC: kill $(cat broker/pid)
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff worker-1/out
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: test "$(grep -c "dropped an event for topic 'zeek.cluster.manager': the queue to the engine is full" worker-1/.stderr)" = 1

# @TEST-START-FILE broker.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;

event zeek_init()
	{
	local f = open("pid");
	print f, getpid();
	close(f);
	}
# @TEST-END-FILE

# @TEST-START-FILE common.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = F;
redef Cluster::Backend::ZeroMQ::heartbeat_interval = 0secs;
redef Cluster::Backend::ZeroMQ::onloop_queue_hwm = 0;

global datum: event(n: count, data: string);
global count_them: event();
global counted: event(n: count);
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1" };

global came = 0;
global in_order = T;
global last = 0;

event datum(n: count, data: string)
	{
	++came;
	if ( n <= last )
		in_order = F;
	last = n;
	}

event count_them()
	{
	print fmt("in order: %s", in_order);
	Cluster::publish(Cluster::worker_topic, counted, came);
	}

event Cluster::node_down(name: string, id: string)
	{
	terminate();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::xpub_sndhwm = 20;
redef Cluster::Backend::ZeroMQ::xpub_sndbuf = 4096;
redef Cluster::Backend::ZeroMQ::xpub_overload = Cluster::Backend::ZeroMQ::OVERLOAD_BLOCK;
redef Cluster::Backend::ZeroMQ::overload_block_limit = 3secs;
redef Test::expected += { "manager" };

global sent = 0;
global dropped = 0;
global data = "";
global bursts = 0;

function note(name: string)
	{
	local f = open(name);
	close(f);
	}

function burst(n: count)
	{
	local start = current_time();

	while ( n > 0 )
		{
		--n;
		if ( Cluster::publish(Cluster::manager_topic, datum, sent + dropped + 1, data) )
			++sent;
		else
			++dropped;
		}

	++bursts;
	local took = current_time() - start;

	if ( bursts == 2 )
		print fmt("burst 2 took the limit, once: %s", took >= 3secs && took < 30secs);
	}

event ask()
	{
	if ( zeek_is_terminating() )
		return;

	Cluster::publish(Cluster::manager_topic, count_them);
	schedule 500msecs { ask() };
	}

event wait_for_stop()
	{
	if ( file_size("../stopped") < 0.0 )
		{
		schedule 50msecs { wait_for_stop() };
		return;
		}

	burst(3000);
	print fmt("burst 2 dropped some: %s, counted: %s, %s", dropped > 0,
	    Test::counter("cluster_zeromq_queue_drops_total") == dropped, Test::counter("cluster_zeromq_drops_total") == dropped);
	note("burst-2");
	Cluster::publish(Cluster::manager_topic, count_them);
	schedule 100msecs { ask() };
	}

event Test::everyone_up()
	{
	data = Test::text(20000);
	burst(3000);
	print fmt("burst 1: %d sent, %d dropped, waited: %s", sent, dropped,
	    Test::counter("cluster_zeromq_publish_blocks_total") > 0.0);
	flush_all();
	note("burst-1");
	event wait_for_stop();
	}

event counted(n: count)
	{
	if ( n != sent )
		return;

	print "what was sent has come";
	terminate();
	}
# @TEST-END-FILE
