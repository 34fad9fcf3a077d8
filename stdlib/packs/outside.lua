--- What a gate gives a pack of the configuration, beside the dataset: limits and files.

local M = {}

--- For a pack's load().
---@param ctx table  of a gate whose needs have stores = { "matrix" }
---@return {config: table?, matrix: fun(): string}  config: packs.routing, nil where there is none; matrix reads the file it names
function M.of(ctx)
  local packs = ctx.config.packs
  local config = type(packs) == "table" and type(packs.routing) == "table" and packs.routing or nil
  return { config = config, matrix = function()
    local list = ctx.store.matrix:list("")
    local first = list[1]
    return (ctx.store.matrix:get(type(first) == "table" and first.key or first))
  end }
end

return M
