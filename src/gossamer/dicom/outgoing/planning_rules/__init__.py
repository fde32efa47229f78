"""What planning systems, viewers and archives are known to reject in a structure set."""
