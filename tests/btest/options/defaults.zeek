# @TEST-DOC: Every option has the name, the type and the default that users' configurations rely on.
#
# @TEST-EXEC: zeek -b %INPUT >options.txt
# @TEST-EXEC: btest-diff options.txt

@load policy/frameworks/cluster/backend/zeromq/options
@load base/utils/strings

event zeek_init()
	{
	local module_prefix = "Cluster::Backend::ZeroMQ::";
	local lines: vector of string;

	for ( name, id in global_ids() )
		{
		if ( ! starts_with(name, module_prefix) || ! id$exported || ! id$redefinable )
			next;

		# The only one whose default depends on the version of Zeek.
		local value = ends_with(name, "::ipv6") ? "(F since 8.1)" : fmt("%s", id$value);
		lines += fmt("%s: %s = %s", name[|module_prefix|:], id$type_name, value);
		}

	sort(lines, strcmp);

	for ( _, line in lines )
		print line;
	}
