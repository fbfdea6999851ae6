##! A manager that writes a hundred batches of one record at start, and a logger.

@load cluster-test

redef Log::write_buffer_size = 1;

module LogTest;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		n: count &log;
	};

	## The number of the first record.
	const first = 1 &redef;
}

event zeek_init() &priority=-1
	{
	# Its records would come between.
	Log::disable_stream(Cluster::LOG);
	Log::create_stream(LOG, Log::Stream($columns=Info, $path="test"));
	}

@if ( Cluster::node == "manager" )
redef Test::expected += { "logger-1" };

event zeek_init() &priority=-20
	{
	local n = first - 1;

	while ( n < first + 99 )
		Log::write(LOG, Info($n=++n));
	}
@endif
