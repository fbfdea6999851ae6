# @TEST-DOC: tcp_keepalive is on for every connection of node, logger and broker, after tcp_keepalive_idle, and can be turned off.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node logger-1 node.zeek
# @TEST-EXEC: node worker-1 node.zeek
# @TEST-EXEC: node -d worker-2 worker-2 node.zeek Cluster::Backend::ZeroMQ::tcp_keepalive=F
# @TEST-EXEC: wait-for test -e manager/ready
#
# @TEST-EXEC: for port in $XPUB_PORT $XSUB_PORT $LOG_PORT; do tcp-options $(cat worker-1/pid) remote $port; done >worker
# @TEST-EXEC: tcp-options $(cat logger-1/pid) local $LOG_PORT >logger
# @TEST-EXEC: for port in $XPUB_PORT $XSUB_PORT; do tcp-options $(cat manager/pid) local $port; done >broker
# @TEST-EXEC: for port in $XPUB_PORT $XSUB_PORT $LOG_PORT; do tcp-options $(cat worker-2/pid) remote $port; done >off
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
#
# @TEST-EXEC: test "$(grep -c 'keep-alive 1 idle 12 interval 4 probes 3' worker)" = 3
# @TEST-EXEC: grep -q keep-alive logger && ! grep -v 'keep-alive 1 idle 12 interval 4 probes 3' logger
# @TEST-EXEC: grep -q keep-alive broker && ! grep -v 'keep-alive 1 idle 15 interval 5 probes 3' broker
# @TEST-EXEC: test "$(grep -c 'keep-alive 0 ' off)" = 3

# @TEST-START-FILE common.zeek
@load cluster-test

function note(name: string, what: string)
	{
	local f = open(name);
	print f, what;
	close(f);
	}

event zeek_init()
	{
	note("pid", cat(getpid()));
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "logger-1", "worker-1", "worker-2" };
redef Test::end_on_file = "../over";

global log_connected: event();
global connected = 0;

# Their connections to the logger do not show in Test::everyone_up().
event log_connected()
	{
	if ( ++connected == 2 )
		note("ready", "");
	}
# @TEST-END-FILE

# @TEST-START-FILE node.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::tcp_keepalive_idle = 12secs;
redef Test::expected += { "manager" };

global log_connected: event();
global logger_there = F;

# ZMQ_EVENT_CONNECTED
event Cluster::Backend::ZeroMQ::monitoring_event(number: count, value: count, address: string)
	{
	if ( number == 1 && address in Cluster::Backend::ZeroMQ::connect_log_endpoints[0] )
		logger_there = T;
	}

event tell()
	{
	if ( zeek_is_terminating() )
		return;

	if ( logger_there )
		Cluster::publish(Cluster::manager_topic, log_connected);
	else
		schedule 50msecs { tell() };
	}

event Test::everyone_up()
	{
	event tell();
	}
# @TEST-END-FILE
