from hypothesis import settings

# A loaded machine must not fail a property by its clock.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
