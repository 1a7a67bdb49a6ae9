"""`fielding plans demo`: two workers on one plan, one of which is killed, against a sandbox on this machine.

May be imported by `cli.plans`. Imports `cli.shared`, `cli.plans.showing`, `plans`, `sandbox`, `core` and the public
package.
"""
