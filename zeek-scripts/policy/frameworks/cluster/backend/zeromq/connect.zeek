##! Kept for configurations from the time when loading the package only declared
##! its options and this script opened the connections. The package does both
##! now.

@load ./options
@load ./main

@load base/misc/version

# On 8.0 this script is the documented one, so only later versions complain.
@if ( Version::number >= 80100 )
@deprecated "Remove in v9.1: Loading policy/frameworks/cluster/backend/zeromq is enough, its connect script has nothing left to do."
@endif
