"""From one configuration to one result: building, fitting, recording."""
