# Zeek reads this file whenever the plugin is active. It stays empty: who does
# not load policy/frameworks/cluster/backend/zeromq gets nothing from us.
