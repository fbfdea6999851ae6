# A node of the mixed clusters: it greets all others by their topics and by a
# shared one, logs, and says what it gets.

@load cluster-test

module LogTest;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		node: string &log;
		n: count &log;
		a: addr &log;
		v: vector of string &log;
	};
}

global greet: event(from: string, by: string, data: table[string] of set[count]);

redef Test::expected = set("manager", "logger-1", "worker-1", "worker-2") - set(Cluster::node);

@if ( Cluster::node == "manager" )
redef Test::end_on_file = "../all-written";
@endif

event zeek_init()
	{
	Log::create_stream(LOG, Log::Stream($columns=Info, $path="test"));
	Cluster::subscribe("test.shared.");
	}

event Cluster::node_up(name: string, id: string)
	{
	print fmt("node_up %s", name);
	}

event Cluster::node_down(name: string, id: string)
	{
	print fmt("node_down %s", name);
	}

event greet(from: string, by: string, data: table[string] of set[count])
	{
	print fmt("event of %s by %s: %d", from, by, |data["x"]|);
	}

event Test::everyone_up()
	{
	local data = table(["x"] = set(1, 2, 3));

	for ( name in Test::up )
		{
		Cluster::publish(Cluster::nodeid_topic(Test::up[name]), greet, Cluster::node, "id", data);
		Cluster::publish(Cluster::node_topic(name), greet, Cluster::node, "name", data);
		}

	Cluster::publish("test.shared.all", greet, Cluster::node, "shared topic", data);

	system(fmt("maps-engine %d >engine-checked.new; mv engine-checked.new engine-checked", getpid()));

	if ( Cluster::node == "logger-1" )
		return;

	local n = 0;

	while ( n < 40 )
		Log::write(LOG, Info($node=Cluster::node, $n=++n, $a=192.0.2.1, $v=vector("a", "b")));
	}
