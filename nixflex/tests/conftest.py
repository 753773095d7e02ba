from agents.tests.fixtures import carrier as carrier
from agents.tests.fixtures import carrier_process as carrier_process
