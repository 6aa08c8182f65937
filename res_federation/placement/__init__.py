"""The verb: `place(snapshot, jobs, policy) -> Plan`. Pure, seeded, explained."""
