from agents.tests.fixtures import model as model
from agents.tests.fixtures import telco as telco
