// Package jobs composes extract, transform and load. [Export] exports one
// iteration; read it first. [Nightly] and [Listen] export many.
package jobs
