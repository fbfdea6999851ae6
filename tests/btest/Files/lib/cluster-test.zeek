##! What the nodes of most tests have in common: the backend on the ports that
##! btest assigned, a watchdog, and a way to end the cluster in order.

@load policy/frameworks/cluster/backend/zeromq
@load base/frameworks/telemetry
@load base/utils/addrs

# Before 8.1, a script of its own makes the connections. Ours does it either way,
# Zeek's own backend needs it.
@if ( Version::number < 80100 )
@load policy/frameworks/cluster/backend/zeromq/connect
@endif

module Test;

export {
	## A test may not take longer than this. Far more than any needs.
	const patience = 90secs &redef;

	## The other nodes that a test wants to have up before it starts.
	const expected: set[string] = {} &redef;

	## Raised once, on a node that has all expected nodes up.
	global everyone_up: event();

	## Tells every node to terminate, and terminates this one when they are gone,
	## the expected ones at least.
	global end: function();

	## If set, the node calls end() as soon as a file of this name exists.
	const end_on_file = "" &redef;

	## Sent to a node that is to terminate.
	global finish: event();

	## A text of so many bytes.
	global text: function(n: count): string;

	## Whether end() was called.
	global ending = F;

	## Whether everyone_up() was raised.
	global told_all_up = F;

	## Internal.
	global gave_up: event();
	global look_for_file: event();

	## The node ids of the nodes that are up.
	global up: table[string] of string;

	## The sum of a counter over its labels.
	global counter: function(name: string): double;
}

const test_address = addr_to_uri(getenv("TEST_IP") == "" ? 127.0.0.1 : to_addr(getenv("TEST_IP")));

function test_endpoint(variable: string): string
	{
	return fmt("tcp://%s:%d", test_address, port_to_count(to_port(getenv(variable))));
	}

@if ( getenv("XPUB_PORT") != "" )
redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = test_endpoint("XPUB_PORT");
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = test_endpoint("XSUB_PORT");
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = test_endpoint("XSUB_PORT");
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = test_endpoint("XPUB_PORT");
@endif

redef Cluster::Backend::ZeroMQ::ipv6 = is_v6_addr(getenv("TEST_IP") == "" ? 127.0.0.1 : to_addr(getenv("TEST_IP")));

redef Log::default_rotation_interval = 0secs;
redef Log::flush_interval = 10msecs;

# A process without packets that should not end by itself.
redef exit_only_after_terminate = T;

global seen: set[string];

event Test::gave_up()
	{
	# Pending timers also run when a process terminates.
	if ( zeek_is_terminating() )
		return;

	print fmt("gave up; up: %s", up);
	flush_all();
	exit(1);
	}

event Test::look_for_file()
	{
	if ( file_size(end_on_file) >= 0.0 )
		end();
	else if ( ! zeek_is_terminating() )
		schedule 50msecs { Test::look_for_file() };
	}

event zeek_init()
	{
	schedule patience { Test::gave_up() };

	if ( end_on_file != "" )
		event Test::look_for_file();
	}

function all_expected_seen(): bool
	{
	for ( n in expected )
		if ( n !in seen )
			return F;

	return T;
	}

function end_if_alone()
	{
	if ( ending && |up| == 0 && all_expected_seen() )
		terminate();
	}

event Cluster::node_up(name: string, id: string) &priority=5
	{
	up[name] = id;
	add seen[name];

	if ( ending )
		Cluster::publish(Cluster::nodeid_topic(id), Test::finish);

	if ( |expected| > 0 && ! told_all_up && all_expected_seen() )
		{
		told_all_up = T;
		event Test::everyone_up();
		}
	}

event Cluster::node_down(name: string, id: string) &priority=-5
	{
	if ( name in up && up[name] == id )
		delete up[name];

	end_if_alone();
	}

event Test::finish()
	{
	terminate();
	}

function end()
	{
	ending = T;

	for ( name in up )
		Cluster::publish(Cluster::nodeid_topic(up[name]), Test::finish);

	end_if_alone();
	}

function counter(name: string): double
	{
	local sum = 0.0;

	for ( _, m in Telemetry::collect_metrics("zeek", name) )
		sum += m$value;

	return sum;
	}

function text(n: count): string
	{
	local s = "x";

	while ( |s| < n )
		s += s;

	return s[0:n];
	}
