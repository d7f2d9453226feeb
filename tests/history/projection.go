package main

import "github.com/anishathalye/porcupine"

// Checking is exponential in what happens at once, and on a busy machine much does. A history that is not decided in time is
// decided register by register: weaker, as it does not see what belongs together, but each answer must still be explained.

// project is what a history tells of one register.
func project(history []porcupine.Operation, register int) (part []porcupine.Operation) {
	for _, o := range history {
		c, a := o.Input.(call), o.Output.(answer)
		one := call{way: c.way, over: c.over, index: c.index, table: c.table, value: c.value, cached: c.cached, page: c.page, node: c.node}
		switch {
		case c.over:
		case c.index:
			if tableOf(register) != c.table {
				continue
			}
			a.found &= 1 << register
		case c.reads != nil:
			at := -1
			for i, r := range c.reads {
				if r == register {
					at = i
				}
			}
			if at < 0 {
				continue
			}
			one.reads = []int{register}
			if !a.unknown {
				a.values = a.values[at : at+1]
			}
		default:
			at := -1
			for i, a := range c.actions {
				if a.register == register {
					at = i
				}
			}
			if at < 0 {
				continue
			}
			kept := c.actions[at : at+1 : at+1]
			if a.failed != nil && a.failed[at] {
				a.failed, a.items = a.failed[at:at+1], a.items[at:at+1]
			} else if a.failed != nil { // its own condition held, another one did not
				kept = append([]action{}, kept...)
				kept[0].kind = actCheck
				a = answer{done: true, before: unsaid, after: unsaid}
			} else if len(c.actions) > 1 {
				a.before, a.after = unsaid, unsaid
			}
			one.actions = kept
		}
		o.Input, o.Output = one, a
		part = append(part, o)
	}
	return part
}

// checkApart: register by register.
func checkApart(history []porcupine.Operation) porcupine.CheckResult {
	for register := 0; register < registers; register++ {
		if result := porcupine.CheckOperationsTimeout(model, project(history, register), *patience); result != porcupine.Ok {
			return result
		}
	}
	return porcupine.Ok
}
