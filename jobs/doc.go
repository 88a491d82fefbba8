// Package jobs is what is run: it composes extract, transform and load. One
// iteration is exported by [Export]; the flow stands there from top to bottom.
package jobs
