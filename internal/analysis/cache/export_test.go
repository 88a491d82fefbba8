package cache

// BeforeCopy sets what is done between the look at the cache and its copy.
func (c *Cache) BeforeCopy(do func()) { c.beforeCopy = do }
