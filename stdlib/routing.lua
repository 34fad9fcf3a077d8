--- `require "routing"` outside of an audit's own process: the same helpers, for gates, and for reading an audit's name.
return require "audit.routing"
