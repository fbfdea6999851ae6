# @TEST-DOC: After the broker was killed and another one took its place, the nodes exchange events as before, without a restart.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node -x -d broker-1 - broker.zeek
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: wait-for grep -q "first broker" manager/out
# @TEST-EXEC: kill -9 $(cat broker-1/pid)
# @TEST-EXEC: wait-for test -e broker-1/rc
# @TEST-EXEC: node -d broker-2 - broker.zeek
# @TEST-EXEC: touch second-broker
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

# @TEST-START-FILE common.zeek
@load cluster-test

redef Cluster::Backend::ZeroMQ::run_proxy_thread = F;

global ping: event(broker: string);
global pong: event(broker: string);
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1" };

global brokers: set[string];

# Keeps on asking, as events get lost while there is no broker.
event ask()
	{
	if ( zeek_is_terminating() )
		return;

	Cluster::publish(Cluster::worker_topic, ping, file_size("../second-broker") >= 0.0 ? "second" : "first");
	schedule 100msecs { ask() };
	}

event Test::everyone_up()
	{
	event ask();
	}

event pong(broker: string)
	{
	if ( broker in brokers )
		return;

	add brokers[broker];
	print fmt("pong over the %s broker", broker);
	flush_all();

	if ( broker == "second" )
		Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

event ping(broker: string)
	{
	Cluster::publish(Cluster::manager_topic, pong, broker);
	}
# @TEST-END-FILE
